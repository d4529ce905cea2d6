declare const PROGRAM_VERSION: string | undefined;

/** The version in package.json, put in by the build. */
export const VERSION: string = typeof PROGRAM_VERSION === 'string' ? PROGRAM_VERSION : '0.0.0-source';

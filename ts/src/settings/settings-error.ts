/**
 * The settings cannot be right: a variable, the env file, the template, the proxy's program. Exit 78.
 *
 * The message names the variable or file, never a value that could be a secret.
 */
export class SettingsError extends Error {
  /** What to do next, as a sentence. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SettingsError';
    this.remedy = remedy;
  }
}

/** What a person sets to use an S3 bucket; the settings module reads it from `OBJECTSTORE_*`. */
export interface S3Options {
  /** A URL with http or https, without a slash at its end, as `settings/object-store.ts` makes it. */
  readonly endpoint: string;
  /** Made in `prepare` if missing. Always addressed by path, so that any host name and certificate will do. */
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** What requests are signed for; `auto` will do for everyone but AWS. */
  readonly region: string;
  /** Time limits, for tests and for slow links; the defaults are in `client.ts`. */
  readonly timeouts?: Partial<S3Timeouts>;
}

/** Milliseconds. */
export interface S3Timeouts {
  /** Until a connection stands. */
  readonly connect: number;
  /** Until an answer begins, and without a byte within one. */
  readonly idle: number;
  /** One operation in all, with its retries and its whole body: what ends a slow drip. */
  readonly overall: number;
}

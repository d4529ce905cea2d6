/** What a person sets to use an S3 bucket; the settings module reads it from `OBJECTSTORE_*`. */
export interface S3Options {
  /**
   * Host, with or without port and scheme: `s3.eu-central-1.amazonaws.com`, `https://ID.r2.cloudflarestorage.com`,
   * `http://127.0.0.1:8333`. Without a scheme it is HTTPS; `http://` sends credentials in clear over the network.
   */
  readonly endpoint: string;
  /** Made in `prepare` if missing. Always addressed by path, so that any host name and certificate will do. */
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Default: the one in an AWS endpoint, else `auto`, which everyone else takes (AWS takes only its own). */
  readonly region?: string;
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

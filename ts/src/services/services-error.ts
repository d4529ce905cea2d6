/** The services cannot be changed as asked, or not reached. Nothing was changed, unless the message says so. Exit 1. */
export class ServicesError extends Error {
  /** What to do next, as a sentence. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServicesError';
    this.remedy = remedy;
  }
}

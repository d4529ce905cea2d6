/** Something that a person should look at, and what to type. */
export interface StatusProblem {
  readonly subject: string;
  readonly reason: string;
  readonly remedy: string;
}

/** Who runs the services, as `switch` sees it: systemd's user manager, or launchd. */
export interface ServiceManager {
  /** Where the files of its services are. */
  readonly directory: string;

  /** MUST change nothing. Throws ServicesError if it cannot be talked to. */
  reach(): Promise<void>;

  /** Whether a file name in `directory` can be one of ours: only such files are looked at. */
  mayBeOurs(fileName: string): boolean;

  /** Whether a switch starts it; false for what a path unit or a timer starts. */
  isStarted(fileName: string, text: string): boolean;

  /** Those of the services that it has from a file elsewhere, with that file: ours would hide it. */
  elsewhere(fileNames: readonly string[]): Promise<ReadonlyMap<string, string>>;

  /** Stops services and keeps them from the next login, before their files go. It need not know them. */
  retire(fileNames: readonly string[]): Promise<void>;

  /** Reads again what is in `directory`, after files came, changed or went. Nothing is started. */
  reload(): Promise<void>;

  /** Has it start these with the next login. After `reload`. */
  enable(fileNames: readonly string[]): Promise<void>;

  /** Starts each, anew if it runs. What does not start is in the result. After `enable`. */
  start(fileNames: readonly string[]): Promise<readonly StartFailure[]>;

  /** Those that ended, and that it does not start again by itself. */
  givenUp(fileNames: readonly string[]): Promise<readonly string[]>;

  states(fileNames: readonly string[]): Promise<readonly ServiceState[]>;

  /** What `doctor` asks for: the services that may be here, whoever installed them. */
  readonly known: readonly string[];

  /**
   * For one that waits for changes in directories: a text that is another one each time it has started what is to
   * follow. Undefined if there is none that waits.
   */
  firing(): Promise<string | undefined>;

  /** What a person should know about this machine once, or undefined. */
  advice(): Promise<string | undefined>;
}

export interface StartFailure {
  readonly name: string;
  readonly why: string;
}

export interface ServiceState {
  readonly name: string;
  /** In the manager's own words: `active (running)`. */
  readonly state: string;
  /** Since when, how its last run ended, when the next is. May be empty. */
  readonly detail: string;
  readonly failed: boolean;
  /** Whether it should run all the time and does not. */
  readonly stopped: boolean;
}

/** What the demo says, for people on stdout. Colour only on a terminal; every line reads without it. */
export interface Narrator {
  /** The head of a step. */
  step(title: string): void;
  text(text: string): void;
  /** A command as one would type it on a host. */
  command(host: string, line: string): void;
  /** What a command printed. */
  output(text: string): void;
  /** What is to be seen on disk or in the store, from outside. */
  seen(text: string): void;
  check(text: string, ok: boolean): void;
}

/**
 * @param terminal How wide it is, and whether it is one at all.
 * @param shorten Makes paths of the temporary directory what a user would see.
 */
export function narrator(
  terminal: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>,
  write: (text: string) => void,
  shorten: (text: string) => string,
): Narrator {
  const hasColour = terminal.isTTY === true && process.env.TERM !== 'dumb' && !process.env.NO_COLOR;
  const paint = (colour: string, text: string) => (hasColour ? `\u001b[${colour}m${text}\u001b[0m` : text);
  const width = Math.min(terminal.columns ?? 100, 100);
  const line = (text: string) => write(`${text}\n`);
  let steps = 0;
  return {
    step: (title) => line(`\n${paint('1', `${++steps}. ${title}`)}`),
    text(text) {
      for (const part of wrap(text, width - 3)) line(`   ${part}`);
    },
    command: (host, text) => line(`\n   ${paint('36', `${host}$ ${shorten(text)}`)}`),
    output(text) {
      for (const printed of shorten(text)
        .split('\n')
        .filter((part) => part.trim() !== '')) {
        for (const part of wrap(printed, width - 7)) line(paint('2', `     | ${part}`));
      }
    },
    seen(text) {
      for (const [index, part] of wrap(shorten(text), width - 6).entries()) {
        line(`   ${index === 0 ? '=>' : '  '} ${part}`);
      }
    },
    check: (text, ok) => line(`   ${ok ? paint('32', 'ok    ') : paint('31', 'FAILED')} ${shorten(text)}`),
  };
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current);
      current = '';
    }
    current += current === '' ? word : ` ${word}`;
  }
  return current === '' ? lines : [...lines, current];
}

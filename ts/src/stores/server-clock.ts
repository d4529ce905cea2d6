/** Milliseconds. */
const TIMEOUT = 5_000;

/**
 * The clock of a server that speaks HTTP, from the `Date` of an answer, whatever it answers: nothing is signed, so a clock that is wrong
 * here is in nobody's way. To the second.
 */
export async function serverClock(url: string | URL): Promise<number | undefined> {
  try {
    const answer = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const time = Date.parse(answer.headers.get('date') ?? '');
    return Number.isNaN(time) ? undefined : time;
  } catch {
    // That it cannot be reached is found, and said better, by every other request.
    return undefined;
  }
}

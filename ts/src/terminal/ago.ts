const MINUTE = 60_000;
const UNITS = [
  { name: 'd', ms: 24 * 60 * MINUTE, from: 2 * 24 * 60 * MINUTE },
  { name: 'h', ms: 60 * MINUTE, from: 60 * MINUTE },
  { name: 'min', ms: MINUTE, from: MINUTE },
] as const;

/** How far an instant is from now, in words: "in 3 h", "2 d ago", "now". Milliseconds since 1970. */
export function fromNow(instant: number, now: number): string {
  const distance = Math.abs(instant - now);
  const unit = UNITS.find(({ from }) => distance >= from);
  if (!unit) return 'now';
  const text = `${Math.floor(distance / unit.ms)} ${unit.name}`;
  return instant > now ? `in ${text}` : `${text} ago`;
}

/** A time of this machine's zone, to the minute: "2026-11-22 14:30". */
export function localTime(instant: number): string {
  const date = new Date(instant);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

import type { VersionId } from '../credential/version.ts';
import type { HistoryRecord } from '../stores/store.ts';

/**
 * One credential's records in the order in which they followed one another, the oldest first: by arrival, but none
 * before one that it replaced. Stores' clocks have seconds, and what is replaced is put into history together with
 * what replaces it.
 */
export function inSequence(records: readonly HistoryRecord[]): readonly HistoryRecord[] {
  const byId = new Map(records.map((record) => [record.id, record]));
  const placed = new Set<VersionId>();
  const sequence: HistoryRecord[] = [];
  const place = (first: HistoryRecord) => {
    // By hand and not by recursion: a chain of replacements is as long as history.
    const stack = [{ record: first, waiting: [...first.replaces] }];
    placed.add(first.id);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const id = top.waiting.pop();
      if (id === undefined) {
        sequence.push(top.record);
        stack.pop();
        continue;
      }
      const before = byId.get(id);
      if (!before || placed.has(id)) continue;
      placed.add(id);
      stack.push({ record: before, waiting: [...before.replaces] });
    }
  };
  const byArrival = [...records].sort((a, b) => a.arrived - b.arrived || (a.id < b.id ? -1 : 1));
  for (const record of byArrival) if (!placed.has(record.id)) place(record);
  return sequence;
}

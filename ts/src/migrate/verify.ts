import type { Store } from '../stores/store.ts';
import { missingPruned, missingTombstones, planTarget } from './combine.ts';
import { configResult, damage, readHistory } from './copy.ts';
import { type Holdings, holdingsOf } from './holdings.ts';

/** Versions of history that are read at once. */
const BATCH = 200;

/**
 * Reads back all that was to be copied.
 *
 * @returns What is not as it should be: by what it is, the rest of the sentence.
 */
export async function verify(
  from: Holdings,
  target: Store,
  host: string,
  onProgress: (done: number, total: number) => void,
): Promise<ReadonlyMap<string, string>> {
  const wrong = new Map<string, string>();
  const to = await holdingsOf(target);
  for (const { name, actions } of planTarget(from, to, host).made.credentials) {
    if (actions.length > 0) wrong.set(name, `is not as it should be in ${target.location}`);
  }
  for (const { name } of missingTombstones(from, to, host))
    wrong.set(name, `its deletion is not recorded in ${target.location}`);
  for (const { name } of missingPruned(from, to))
    wrong.set(`${name}, old versions`, `are not known as such in ${target.location}`);
  const records = [...from.credentials.values()].flatMap(({ history }) => history);
  for (let start = 0; start < records.length; start += BATCH) {
    const batch = records.slice(start, start + BATCH);
    const answers = await readHistory(batch, target.read);
    for (const record of batch) {
      const reason = damage(record, answers.get(record));
      if (reason !== undefined)
        wrong.set(`${record.name}, version ${record.id.slice(0, 12)}`, `in ${target.location} it ${reason}`);
    }
    onProgress(Math.min(start + BATCH, records.length), records.length);
  }
  const result = configResult(from, to);
  if (result === 'copied') wrong.set('the config', `is not in ${target.location}`);
  return wrong;
}

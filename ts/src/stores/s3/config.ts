import { sha256 } from '../../credential/version.ts';
import { CONFIG_HISTORY_PREFIX, CONFIG_KEY, configHistoryKey, isConfigHistoryKey } from '../layout.ts';
import {
  type ConfigChange,
  type ConfigOutcome,
  type ConfigRecord,
  type StoredObject,
  StoreError,
} from '../store.ts';
import type { Bucket } from './bucket.ts';
import { readWords, wordsMetadata } from './history.ts';
import type { Writer } from './write.ts';

/** As CLIProxyAPI writes it (internal/store/objectstore.go). */
const CONTENT_TYPE = 'application/x-yaml';

export async function readConfig(bucket: Bucket): Promise<StoredObject | undefined> {
  const answer = await bucket.get(CONFIG_KEY);
  switch (answer.kind) {
    case 'object':
      return { bytes: answer.bytes, tag: answer.tag };
    case 'absent':
    case 'no-bucket':
      return undefined;
    case 'too-large':
      throw new StoreError(
        'refused',
        `${CONFIG_KEY} in ${bucket.location} has ${answer.size} bytes, which is no config.`,
        'Remove it, or put the right one there.',
      );
    case 'denied':
      throw new StoreError('refused', answer.error.message, 'Give the access key the right to read it.');
  }
}

export async function commitConfig(writer: Writer, change: ConfigChange): Promise<ConfigOutcome> {
  for (const entry of change.keep) {
    await writer.create(configHistoryKey(sha256(entry.bytes)), entry.bytes, {
      contentType: CONTENT_TYPE,
      metadata: wordsMetadata(entry),
    });
  }
  return writer.put(CONFIG_KEY, change.bytes, change.seen, { contentType: CONTENT_TYPE });
}

export async function readConfigHistory(bucket: Bucket): Promise<ConfigRecord[]> {
  const listed = (await bucket.list(CONFIG_HISTORY_PREFIX)) ?? [];
  const records = await Promise.all(
    listed
      .filter(({ key }) => isConfigHistoryKey(key))
      .map(async ({ key, modified }): Promise<ConfigRecord | undefined> => {
        const answer = await bucket.get(key);
        if (answer.kind === 'denied') throw answer.error;
        if (answer.kind !== 'object') return undefined;
        return { bytes: answer.bytes, arrived: modified, ...readWords(answer.metadata) };
      }),
  );
  return records.filter((record) => record !== undefined);
}

/** Names that a run saw are on the disk before it remembers them. */
import { expect, test } from 'vitest';
import { syncNames } from '../../../ts/src/sync/apply/local.ts';
import { everywhere, inputs, v1 } from '../../scenarios/vocabulary.ts';

const { base, snapshot } = inputs({ places: everywhere(v1) });

test('a folder that went meanwhile, with all that was in it, has nothing to be synced', async () => {
  await syncNames(base, snapshot, { auth: '/nowhere/auths', ccs: '/dev/null/auth' });
});

test('a disk that does not say that they are there ends the run: nothing is remembered', async () => {
  // Longer than any disk takes.
  const auth = `/${'x'.repeat(300)}`;
  await expect(syncNames(base, snapshot, { auth, ccs: undefined })).rejects.toMatchObject({
    name: 'StateError',
    message: expect.stringContaining('cannot make sure that what is in /xxx'),
    remedy: expect.stringContaining('nothing was lost'),
  });
});

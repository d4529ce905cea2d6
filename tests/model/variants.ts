/** Programs that are broken on purpose, each in one line: the search must find every one. */
import type { Variant } from './bundle.ts';

/** `seed`: where the search begins, for those that it takes long to find from the first. */
export const VARIANTS: readonly (Variant & { readonly seed?: number })[] = [
  {
    name: 'what is replaced is not kept first',
    file: 'sync/actions.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of the program
    find: "  for (const version of losers)\n    actions.push({ kind: 'keep', version, where, reason: `replaced by ${shortId(id)}: ${reason}` });\n",
    replace: '',
  },
  {
    name: 'the store deletes without a tombstone',
    file: 'sync/actions.ts',
    find: "  if (decision.tag === undefined)\n    actions.push({ kind: 'bury', tombstone, reason, ...(over !== undefined && { over }) });\n",
    replace: '',
  },
  {
    name: 'the tombstone is written after the removal',
    file: 'sync/actions.ts',
    find: "  if (decision.tag === undefined)\n    actions.push({ kind: 'bury', tombstone, reason, ...(over !== undefined && { over }) });\n  for (const place of storeFirst(allowed)) actions.push({ kind: 'remove', place, seen: seen[place], reason });",
    replace:
      "  for (const place of storeFirst(allowed)) actions.push({ kind: 'remove', place, seen: seen[place], reason });\n  if (decision.tag === undefined && allowed.length === 0) actions.push({ kind: 'bury', tombstone, reason, ...(over !== undefined && { over }) });",
  },
  {
    name: 'the store is written without a condition',
    file: 'sync/apply/store.ts',
    find: '        seen: tagOf(seen, action.place),\n        version: winner.id,',
    replace:
      "        get seen() { return (globalThis as never as { tagNow(area: string, name: string): string | undefined }).tagNow(action.place === 'store' ? 'current' : 'backup', plan.name); },\n        version: winner.id,",
  },
  {
    name: 'the base is saved before the places are written',
    seed: 3,
    file: 'sync/apply.ts',
    find: '    if (!storeError) await writeLocalPlaces(batch, written, context);',
    replace:
      '    for (const item of batch) remember(item.plan, { complete: true, tags: item.tags, removed: [], ...(item.winner && { winner: item.winner }) });\n    await save();\n    if (!storeError) await writeLocalPlaces(batch, written, context);',
  },
  {
    name: 'the marker is ignored',
    seed: 6,
    file: 'sync/rules/change.ts',
    find: "return state.kind !== 'listed' || (state.marker !== undefined && state.marker === base.markers[place]);",
    replace: 'return true;',
  },
  {
    name: 'superseded versions may win',
    seed: 4,
    file: 'sync/plan.ts',
    find: 'present.filter(({ version }) => version.id === chosen || !superseded.has(version.id));',
    replace: 'present;',
  },
  {
    name: 'old files that were put back are taken',
    file: 'sync/rules/stale.ts',
    find: 'return !(refreshed !== undefined && refreshed <= now + MAX_AHEAD_MS && refreshed > agreed.agreedAt);',
    replace: 'return refreshed === Number.NEGATIVE_INFINITY;',
  },
  {
    name: 'tombstones hold nothing',
    file: 'sync/plan.ts',
    find: '  if (living.length === 0) return',
    replace: '  if (present.length === 0) return',
  },
  {
    name: 'the file is not looked at again before it is replaced',
    seed: 90,
    file: 'sync/local-write.ts',
    find: '        if (!isSame(readLocal(path), seen)) throw new LostRace();',
    replace: '',
  },
  {
    name: 'half-written files count as gone',
    file: 'sync/local.ts',
    find: "      return sighting.kind === 'invalid' || sighting.kind === 'absent';\n",
    replace:
      "      if (sighting.kind === 'invalid') sightings.set(name, { kind: 'absent' });\n      return false;\n",
  },
  {
    name: 'files are written in place',
    file: 'files/atomic-write.ts',
    find: '    await (createOnly ? createByLink(temporary, path) : rename(temporary, path));',
    replace:
      '    if (createOnly) await createByLink(temporary, path);\n    else { const target = openSync(path, O_WRONLY | O_CREAT, mode); writeFileSync(target, bytes.subarray(0, bytes.length >> 1)); writeFileSync(target, bytes); closeSync(target); await unlink(temporary); }',
  },
  {
    name: 'contents are not synced before they take the name',
    seed: 65,
    file: 'files/atomic-write.ts',
    find: '      await fsyncFile(file);\n',
    replace: '',
  },
  {
    name: 'backup copies are never written',
    file: 'sync/apply/store.ts',
    find: "    if (action.kind === 'write' && isStorePlace(action.place) && winner) {",
    replace: "    if (action.kind === 'write' && action.place === 'store' && winner) {",
  },
];

/** Rule: names that one file would hold, where the file system folds case or Unicode forms, are left alone. */
import { type CredentialName, foldName } from '../../credential/name.ts';
import { LOCAL_PLACES, type Snapshot } from '../model.ts';

/** Each name that has a twin on this host, with that twin. Empty where no local place folds names. */
export function twins(snapshot: Snapshot): ReadonlyMap<CredentialName, CredentialName> {
  const folds = LOCAL_PLACES.some((place) => {
    const state = snapshot.places[place];
    return state.kind === 'listed' && state.folds;
  });
  const found = new Map<CredentialName, CredentialName>();
  if (!folds) return found;
  const first = new Map<string, CredentialName>();
  for (const name of snapshot.credentials.keys()) {
    const folded = foldName(name);
    const other = first.get(folded);
    if (other === undefined) first.set(folded, name);
    else found.set(name, other).set(other, name);
  }
  return found;
}

/** The shortest stories that broke a promise once, as the search gave them. */
import type { Story } from '../story.ts';

export const CASES: readonly { readonly name: string; readonly story: Story }[] = [];

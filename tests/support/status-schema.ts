import { readFileSync } from 'node:fs';
import type { Schema } from './json-schema.ts';

/** What `status --json` is documented to print. */
export const STATUS_SCHEMA: Schema = JSON.parse(
  readFileSync(new URL('../../docs/status.schema.json', import.meta.url), 'utf8'),
);

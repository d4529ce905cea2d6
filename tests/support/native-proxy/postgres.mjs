/**
 * internal/store/postgresstore.go. A start makes schema and tables, reads the config, runs its SELECT, removes the mirror
 * as a whole, makes it anew, and writes the rows as they come; a save upserts and a removal deletes, both whatever is
 * there. The mirror gets the rows as `jsonb` prints them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import pg from 'pg';

export function open({ variable, exampleConfig, at, slow }) {
  const pool = new pg.Pool({ connectionString: variable('PGSTORE_DSN'), max: 4 });
  // A server that ends is an error of the next query.
  pool.on('error', () => undefined);
  const schema = variable('PGSTORE_SCHEMA');
  const quoted = (name) => `"${name.replaceAll('"', '""')}"`;
  const table = (name) => (schema ? `${quoted(schema)}.${quoted(name)}` : quoted(name));
  const root = join(variable('PGSTORE_LOCAL_PATH') ?? process.cwd(), 'pgstore');
  const authDir = join(root, 'auths');
  const configPath = join(root, 'config/config.yaml');
  const upsert = (name, id, content) =>
    pool.query(
      `INSERT INTO ${table(name)} (id, content, created_at, updated_at) VALUES ($1, $2, NOW(), NOW())
       ON CONFLICT (id) DO UPDATE SET content = EXCLUDED.content, updated_at = NOW()`,
      [id, content],
    );
  const columns = (type) =>
    `id TEXT PRIMARY KEY, content ${type} NOT NULL,
     created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()`;

  /** os.RemoveAll: the names in a folder one after another, then the folder. */
  const removeAll = async () => {
    if (!existsSync(authDir)) return;
    // The order of a directory is no order; hidden files last is the worst one for whoever has a marker there.
    const names = readdirSync(authDir).sort((a, b) => a.startsWith('.') - b.startsWith('.'));
    for (const [index, name] of names.entries()) {
      // So few that no guard against mass deletion has a say.
      if (index === Math.floor(names.length / 3)) await at('clear');
      rmSync(join(authDir, name), { recursive: true, force: true });
    }
    // Fails if someone put a file there meanwhile, and so does the start.
    rmdirSync(authDir);
  };

  return {
    authDir,
    configPath,
    async bootstrap() {
      for (const path of [join(root, 'config'), authDir]) mkdirSync(path, { recursive: true, mode: 0o700 });
      await at('connect');
      if (schema) await pool.query(`CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`);
      await pool.query(`CREATE TABLE IF NOT EXISTS ${table('config_store')} (${columns('TEXT')})`);
      await pool.query(`CREATE TABLE IF NOT EXISTS ${table('auth_store')} (${columns('JSONB')})`);
      await pool.query(
        `CREATE TABLE IF NOT EXISTS ${table('cooldown_store')} (auth_id TEXT NOT NULL, model TEXT NOT NULL DEFAULT '',
         content JSONB NOT NULL, deleted BOOLEAN NOT NULL DEFAULT FALSE, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
         updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), PRIMARY KEY (auth_id, model))`,
      );
      const config = await pool.query(`SELECT content FROM ${table('config_store')} WHERE id = $1`, [
        'config',
      ]);
      if (config.rows.length > 0) {
        writeFileSync(configPath, config.rows[0].content.replace(/\r\n?/g, '\n'), { mode: 0o600 });
      } else {
        if (!existsSync(configPath)) exampleConfig(configPath);
        await upsert('config_store', 'config', readFileSync(configPath, 'utf8').replace(/\r\n?/g, '\n'));
      }
      await at('config');
      const { rows } = await pool.query(`SELECT id, content::text AS content FROM ${table('auth_store')}`);
      await at('list');
      await removeAll();
      mkdirSync(authDir, { recursive: true, mode: 0o700 });
      for (const [index, { id, content }] of rows.entries()) {
        if (index === rows.length >> 1) await at('fill');
        await slow();
        const name = normalize(id);
        if (name.startsWith('..')) continue;
        mkdirSync(dirname(join(authDir, name)), { recursive: true, mode: 0o700 });
        writeFileSync(join(authDir, name), content, { mode: 0o600 });
      }
    },
    async persist(_message, path) {
      const id = relative(authDir, path);
      const content = existsSync(path) ? readFileSync(path, 'utf8') : '';
      if (content === '') await pool.query(`DELETE FROM ${table('auth_store')} WHERE id = $1`, [id]);
      else await upsert('auth_store', id, content);
    },
  };
}

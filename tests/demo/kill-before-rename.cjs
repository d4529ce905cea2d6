// Loaded into a run by `node --require`: kills it, as `kill -9` does, just before it would rename a file to a path
// that ends in KILL_BEFORE_RENAME.
const fs = require('node:fs/promises');

const { rename } = fs;
fs.rename = async (from, to) => {
  if (String(to).endsWith(process.env.KILL_BEFORE_RENAME)) process.kill(process.pid, 'SIGKILL');
  return rename(from, to);
};

// Kills the process between taking a lock and noting whose it is. Loaded by NODE_OPTIONS.
const fs = require('node:fs');
const mkdir = fs.mkdir;
fs.mkdir = (path, ...rest) => {
  const done = rest.pop();
  mkdir(path, ...rest, (error, ...results) => {
    if (!error && String(path).endsWith('/lock')) process.kill(process.pid, 'SIGKILL');
    done(error, ...results);
  });
};

// Sends the process the signal SIGNAL_IN_LOCK between taking a lock and noting whose it is. Loaded by NODE_OPTIONS.
const fs = require('node:fs');
const { mkdir } = fs;
fs.mkdir = (path, ...rest) => {
  const done = rest.pop();
  mkdir(path, ...rest, (error, ...results) => {
    if (!error && String(path).endsWith('/lock')) process.kill(process.pid, process.env.SIGNAL_IN_LOCK);
    done(error, ...results);
  });
};

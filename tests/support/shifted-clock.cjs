// A clock that is off by as many milliseconds as the file CLOCK_OFFSET_FILE says. Loaded by NODE_OPTIONS.
const { readFileSync } = require('node:fs');
const offset = () => {
  try {
    return Number(readFileSync(process.env.CLOCK_OFFSET_FILE, 'utf8')) || 0;
  } catch {
    return 0;
  }
};
const RealDate = Date;
globalThis.Date = class ShiftedDate extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [RealDate.now() + offset()] : args));
  }
  static now() {
    return RealDate.now() + offset();
  }
};

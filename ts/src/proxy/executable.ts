import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';

/**
 * Whether the kernel is sure to execute a file: a script with an interpreter that is there, or a binary for the
 * machine that this process runs on, whose loader is there (a downloaded program on NixOS has none). False means
 * that we do not know: asked before Node's `execve`, which aborts with a core dump where the kernel refuses.
 */
export async function isSurelyExecutable(path: string): Promise<boolean> {
  try {
    const start = await head(path);
    const [, interpreter] = /^#![ \t]*([^\s\0]+)/.exec(start.toString('latin1', 0, 256)) ?? [];
    if (interpreter !== undefined) return await mayExecute(interpreter);
    const own = await head(process.execPath);
    switch (start.toString('hex', 0, 4)) {
      case ELF: {
        if (
          !start.subarray(4, 6).equals(own.subarray(4, 6)) ||
          !start.subarray(18, 20).equals(own.subarray(18, 20))
        ) {
          return false;
        }
        const loader = loaderOf(start);
        return loader === 'none' || (loader !== 'unknown' && (await mayExecute(loader.path)));
      }
      case MACH_O:
        return start.subarray(4, 8).equals(own.subarray(4, 8));
      default:
        return start.toString('hex', 0, 4) === MACH_O_UNIVERSAL;
    }
  } catch {
    return false;
  }
}

const ELF = '7f454c46';
const MACH_O = 'cffaedfe';
const MACH_O_UNIVERSAL = 'cafebabe';

/** Program headers and the loader's name are in the first page of what any linker writes. */
const HEAD_BYTES = 4096;

/** The loader that a 64 bit little-endian ELF file names (elf(5): PT_INTERP). */
function loaderOf(elf: Buffer): 'none' | 'unknown' | { readonly path: string } {
  if (elf[4] !== 2 || elf[5] !== 1) return 'unknown';
  const table = Number(elf.readBigUInt64LE(32));
  const size = elf.readUInt16LE(54);
  const count = elf.readUInt16LE(56);
  for (let index = 0; index < count; index++) {
    const header = table + index * size;
    if (elf.readUInt32LE(header) !== PT_INTERP) continue;
    const start = Number(elf.readBigUInt64LE(header + 8));
    const end = start + Number(elf.readBigUInt64LE(header + 32)) - 1;
    return end < elf.length ? { path: elf.toString('utf8', start, end) } : 'unknown';
  }
  return 'none';
}

const PT_INTERP = 3;

async function head(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(HEAD_BYTES);
    await file.read(buffer, 0, buffer.length, 0);
    return buffer;
  } finally {
    await file.close();
  }
}

async function mayExecute(path: string): Promise<boolean> {
  await access(path, constants.X_OK);
  return (await stat(path)).isFile();
}

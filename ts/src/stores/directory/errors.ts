import { errorCode, errorWords } from '../../files/atomic-write.ts';
import { StoreError } from '../store.ts';

/** A system error as one sentence on what failed on what, and one on what to do. */
export function fileError(error: unknown, doing: string, root: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = errorCode(error);
  const message = (because: string) => `Cannot ${doing} in ${root}: ${because}.`;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return new StoreError(
        'refused',
        message('this user may not'),
        `Give the user that runs this program the directory ${root} and all in it, with the rights to read and write.`,
      );
    case 'EROFS':
      return new StoreError('refused', message('the file system is read-only'), 'Mount it for writing.');
    case 'ENOSPC':
    case 'EDQUOT':
      return new StoreError(
        'refused',
        message('the disk, or the quota, is full'),
        'Make room, then run again.',
      );
    case 'ENAMETOOLONG':
      return new StoreError(
        'refused',
        message('the path is too long'),
        'Set LOCALSTORE_PATH to a shorter path.',
      );
    case 'ENOTDIR':
    case 'EISDIR':
    case 'EEXIST':
    case 'ENOTEMPTY':
    case 'ELOOP':
      return new StoreError(
        'refused',
        message(
          `something that is not a regular file or directory, or a symbolic link, is in the way (${code})`,
        ),
        'Move it away, then run again.',
      );
    case 'EMFILE':
    case 'ENFILE':
      return new StoreError(
        'unreachable',
        message('too many files are open'),
        'Try again, or raise the limit.',
      );
    default:
      return new StoreError(
        'unreachable',
        message(errorWords(error)),
        'Check that the disk is mounted and in order, then run again.',
      );
  }
}

/** Run by killed-restore.test.ts: restores FILE to DIR as the command does. */
import { restoreSnapshot } from '../../src/node/recovery/restore.ts';
import { configOf } from './cluster-files.ts';

const [file, dir] = process.argv.slice(2) as [string, string];
await restoreSnapshot(configOf(dir, 'fresh'), file);

/** Numbers about this machine's part in the cluster, in the default registry of prom-client; the API serves them at /metrics. */
import { Gauge } from 'prom-client';
import type { DiskState } from './disk-room.ts';

const diskFreeBytes = new Gauge({
  name: 'kontiki_disk_free_bytes',
  help: 'Room on the disk of the data folder, without the reserve.',
});

const diskReserveBytes = new Gauge({ name: 'kontiki_disk_reserve_bytes', help: 'Held back in a file for a full disk.' });

const diskLow = new Gauge({
  name: 'kontiki_disk_low',
  help: '1 while the disk has too little room; when that is so for half of the voters, nothing new is stored.',
});

export function showDisk({ freeBytes, reserveBytes, low }: DiskState): void {
  diskFreeBytes.set(freeBytes);
  diskReserveBytes.set(reserveBytes);
  diskLow.set(low ? 1 : 0);
}

/** Changes a store's folder behind its back, as failing hardware would; what is there stays readable. */
import { Level } from 'level';
import { Packr, Unpackr } from 'msgpackr';

const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });

/**
 * Replaces `from` by `to`, of the same length, in the first record that holds it. `silently`: takes away the hash that was
 * written with the state too, so that only other peers can tell. Gives the key of the record.
 */
export async function damageRecord(dir: string, from: string, to: string, silently = false): Promise<string> {
  const db = new Level<string, Buffer>(dir, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  await db.open();
  try {
    for await (const [key, value] of db.iterator({ gte: 'g', lt: 'h' })) {
      const at = value.indexOf(from);
      if (at < 0 || !key.includes('!r!')) continue;
      value.write(to, at);
      await db.put(key, value);
      if (silently) {
        const { hash: _, ...state } = unpacker.unpack((await db.get('state'))!) as Record<string, unknown>;
        await db.put('state', packer.pack(state));
      }
      return key;
    }
    throw new Error(`no record holds ${from}`);
  } finally {
    await db.close();
  }
}

/** What backup and recovery tell a person. Pure. */
import type { VerifiedSnapshot } from '../node/recovery/backup.ts';
import type { Inspected } from '../node/recovery/inspection.ts';
import type { LonePeer } from '../node/recovery/lone-peer.ts';
import type { RecoveryPlan, UncertainEntry } from '../node/recovery/recovery-plan.ts';

/** Longer lists of entries are cut; their number is always told. */
const entriesShown = 20;

export function snapshotText({ file, bytes, sha256, header, records, objects }: VerifiedSnapshot, what: string): string {
  const kinds = Object.entries(objects);
  const total = kinds.reduce((sum, [, count]) => sum + count, 0);
  const width = Math.max(0, ...kinds.map(([kind]) => kind.length));
  return [
    `${file}: ${what}, every byte checked`,
    `  size      ${bytes} bytes, sha256 ${sha256}`,
    `  cluster   ${header.clusterId}`,
    `  saved     ${header.savedAt} by ${header.nodeName}`,
    `  state     revision ${header.revision}, entry ${header.index} of term ${header.term}`,
    `  members   ${header.members
      .map(({ nodeName }) => nodeName)
      .sort()
      .join(', ')}`,
    `  records   ${records}, of them ${total} Kubernetes objects`,
    ...kinds.map(([kind, count]) => `    ${kind.padEnd(width)}  ${count}`),
  ].join('\n');
}

export function inspectionText(inspected: readonly Inspected[]): string {
  const heads = ['FOLDER', 'NODE', 'LAST ENTRY', 'COMMITTED', 'APPLIED', 'REVISION', 'PEER'];
  const rows = inspected.map(({ folder, nodeName, peer, found }) => {
    const name = [folder, nodeName ?? '-'];
    if (!found) return [...name, '-', '-', '-', '-', peer ?? '-'];
    const { last, committed } = found.log;
    return [
      ...name,
      `${last.index} of term ${last.term}`,
      ...[committed, found.applied.index, found.revision].map(String),
      peer ?? '-',
    ];
  });
  const problems = inspected.filter(({ problem }) => problem !== undefined).map((one) => `${one.folder}: ${one.problem}`);
  return [
    table([heads, ...rows]),
    ...(problems.length > 0 ? ['', 'Cannot be used:', ...problems.map((line) => `  ${line}`)] : []),
  ].join('\n');
}

export function planText(plan: RecoveryPlan, nodeName: string): string {
  const { best, committed, uncertain, voters, present, complete } = plan;
  const { last } = best.found.log;
  const lines = [
    '',
    `The best log is that of ${best.nodeName} in ${best.folder}: entry ${last.index} of term ${last.term}, the highest by Raft's rule.`,
    ...stateLines(plan),
    `Logs of ${present.length} of the ${voters.length} voters are at hand.`,
    '',
    'What may be lost or gained:',
  ];
  if (complete) {
    lines.push('  - They are a quorum: if these folders are as their peers left them, no acknowledged write is missing.');
    lines.push('    If these machines can run, start their daemons instead; nothing has to be recovered then.');
  } else {
    lines.push(`  - Writes that the lost voters acknowledged after entry ${last.index} are missing, if there were any.`);
  }
  if (uncertain.length === 0) {
    lines.push(`  - Entries 1 to ${last.index} are known to be committed: none is taken on trust.`);
  } else {
    const [first] = uncertain as [UncertainEntry];
    lines.push(
      `  - Entries up to ${committed} are known to be committed. ${first.index === last.index ? `Entry ${last.index}` : `Entries ${first.index} to ${last.index}`} will count as committed too,`,
      '    although the clients may never have been told so:',
      ...uncertain.slice(0, entriesShown).map((entry) => `      ${entryText(entry)}`),
    );
    if (uncertain.length > entriesShown) lines.push(`      … and ${uncertain.length - entriesShown} more`);
  }
  lines.push(
    '',
    `${nodeName} will be the only member. All other members are shut out for good: reset them and let them join again.`,
    'Make sure that they are off: while most of them run, they are a cluster of their own, and their pods run beside yours.',
  );
  return lines.join('\n');
}

/** Nothing while the best log's own state is sound. */
function stateLines({ best, state }: RecoveryPlan): string[] {
  const { damage } = state.found;
  if (damage !== undefined) {
    return [
      `WARNING: the state beside it is damaged (${damage}), and no other folder has a sound one that this log goes on from:`,
      '  single objects may be wrong. Give more folders with --from, or restore a snapshot instead.',
    ];
  }
  if (state.folder === best.folder) return [];
  return [
    `The state beside it is damaged; that of ${state.nodeName} in ${state.folder} is taken, and the log goes on from there.`,
  ];
}

/** A warning when machines that are said to be lost are not. */
export function aliveLines(alive: readonly { nodeName: string; address: string }[]): string[] {
  if (alive.length === 0) return [];
  return ['', 'WARNING: not lost, these answer now:', ...alive.map(({ nodeName, address }) => `  ${nodeName} at ${address}`)];
}

function entryText({ index, term, kind, keys }: UncertainEntry): string {
  const what = {
    empty: 'beginning of a term, no content',
    membership: 'change of the members',
    normal: `write of ${keys.join(', ')}`,
  };
  return `${index} of term ${term}: ${what[kind]}`;
}

export function lonePeerText(outcome: LonePeer, config: string | undefined): string {
  const { peer, clusterId, formerClusterId, revision, fenced, nodes, replaced } = outcome;
  const option = config === undefined ? '' : ` --config ${config}`;
  return [
    '',
    `Done. This machine is the only member (peer ${peer}) of cluster ${clusterId}.`,
    `  former cluster   ${formerClusterId}`,
    `  revision         ${revision}`,
    `  shut out         ${
      fenced
        .map(({ nodeName, id }) => `${nodeName} (${id})`)
        .sort()
        .join(', ') || 'nobody'
    }`,
    `  nodes removed    ${[...nodes].sort().join(', ') || 'none'}`,
    ...(replaced === undefined ? [] : [`  replaced files   ${replaced}`]),
    '',
    'Next:',
    `  kontiki up${option}`,
    `  kontiki token create${option}        # then on each further machine, empty or reset: kontiki up --join HOST:PORT --token TOKEN`,
  ].join('\n');
}

function table(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 2))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}

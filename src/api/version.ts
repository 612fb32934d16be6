/** What this server says it is. Clients compare the numbers with their own and check that the commit is hexadecimal. */
export const versionInfo = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+kontiki0.1.0',
  gitCommit: '0000000000000000000000000000000000000000',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: `node-${process.version}`,
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

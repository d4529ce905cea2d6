/** docs/reference/nix-options.md, from what nix/options-doc.nix gives. */
export interface HostOptions {
  readonly host: string;
  readonly options: readonly NixOption[];
}

export interface NixOption {
  readonly name: string;
  readonly type: string;
  readonly default: string | null;
  readonly example: string | null;
  readonly description: string;
}

/** @param hosts The same options for each host. */
export function nixOptionsPage(hosts: readonly HostOptions[]): string {
  const [first] = hosts;
  const sections = (first?.options ?? []).map(({ name }) => {
    const found = hosts.map(({ host, options }) => {
      const option = options.find((other) => other.name === name);
      if (!option) throw new Error(`${host} has no option ${name}`);
      return { host, ...option };
    });
    const [{ type, example } = { type: '', example: null }] = found;
    const lines = [
      byHost(found, ({ description }) => description.trim().replaceAll('\n', ' '), '\n\n'),
      `- Type: ${type}`,
      `- Default: ${byHost(found, (option) => (option.default === null ? 'none' : code(option.default)), '; ')}`,
    ];
    const shown = example === null ? [] : [`- Example: ${code(example)}`];
    return [
      `## ${name.replace(/^services\.cliproxyapi\./, '')}`,
      '',
      lines[0],
      '',
      ...lines.slice(1),
      ...shown,
    ].join('\n');
  });
  return [
    '<!-- Written by `make docs`: change modules/options.nix instead. -->',
    '# Nix options',
    'All are below `services.cliproxyapi`, the same on NixOS, home-manager and nix-darwin; what a host has no use for says so when it is set. [How to set them up](../nix.md).',
    ...sections,
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

/** Once if it is the same on all hosts, else with the hosts that it belongs to. */
function byHost<Found extends { readonly host: string }>(
  found: readonly Found[],
  say: (option: Found) => string,
  separator: string,
): string {
  const hosts = new Map<string, string[]>();
  for (const option of found) hosts.set(say(option), [...(hosts.get(say(option)) ?? []), option.host]);
  if (hosts.size === 1) return [...hosts.keys()].join('');
  return [...hosts].map(([said, names]) => `${names.join(', ')}: ${said}`).join(separator);
}

function code(text: string): string {
  const line = text.trim();
  return line.includes('\n') ? `\n\n  \`\`\`nix\n${line.replace(/^/gm, '  ')}\n  \`\`\`` : `\`${line}\``;
}

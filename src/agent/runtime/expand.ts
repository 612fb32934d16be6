import { AgentError } from '../errors.ts';

/** `$(NAME)` in command, args and env values: replaced when NAME is known, left as it stands when not; `$$(NAME)` escapes. Pure. */
export function expandVariables(text: string, known: ReadonlyMap<string, string>): string {
  return expandWith(text, (name) => known.get(name) ?? `$(${name})`);
}

/** The same where a name that is not known is an error: AgentError 'ContainerConfig'. */
export function expandKnownVariables(text: string, known: ReadonlyMap<string, string>): string {
  return expandWith(text, (name) => {
    const value = known.get(name);
    if (value === undefined) throw new AgentError('ContainerConfig', `missing value for "${name}"`);
    return value;
  });
}

function expandWith(text: string, lookUp: (name: string) => string): string {
  let out = '';
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    if (dollar < 0 || dollar === text.length - 1) return out + text.slice(at);
    out += text.slice(at, dollar);
    const next = text[dollar + 1];
    if (next === '$') {
      out += '$';
      at = dollar + 2;
    } else if (next === '(') {
      const end = text.indexOf(')', dollar + 2);
      if (end < 0) {
        out += '$(';
        at = dollar + 2;
        continue;
      }
      const name = text.slice(dollar + 2, end);
      out += lookUp(name);
      at = end + 1;
    } else {
      out += `$${next}`;
      at = dollar + 2;
    }
  }
  return out;
}

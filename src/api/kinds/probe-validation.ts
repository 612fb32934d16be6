/** Probes and lifecycle hooks of a container. Source: API reference, "Container v1 core"; wording as kubectl users know it. */
import { isPortName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Container, Probe } from '../../machinery/types.ts';
import {
  checkNotNegative,
  checkOneOf,
  checkPortNumber,
  invalidValue,
  invalidWhen,
  notPermitted,
  portRangeDetail,
  required,
} from './field-errors.ts';

type Lifecycle = NonNullable<Container['lifecycle']>;
/** What a probe or a hook may do; exactly one of them. */
type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<NonNullable<Lifecycle['preStop']>, 'sleep'>;
type HttpGet = NonNullable<Probe['httpGet']>;

const probeNames = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
const headerName = /^[-A-Za-z0-9]+$/;

/** The three probes of a container that runs for long. */
export function validateProbes(container: Container, path: string): FieldError[] {
  return probeNames.flatMap((name) => {
    const probe = container[name];
    return probe ? validateProbe(probe, name, `${path}.${name}`) : [];
  });
}

/** Init containers that end have neither probes nor hooks. */
export function forbidProbes(container: Container, path: string): FieldError[] {
  return ([...probeNames, 'lifecycle'] as const)
    .filter((name) => container[name] != null)
    .map((name) => notPermitted(`${path}.${name}`, 'may not be set for init containers without restartPolicy=Always'));
}

function validateProbe(probe: Probe, name: (typeof probeNames)[number], path: string): FieldError[] {
  const errors = validateHandler(probe, path);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    errors.push(...checkNotNegative(`${path}.${field}`, probe[field]));
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace != null) {
    const field = `${path}.terminationGracePeriodSeconds`;
    if (grace <= 0) errors.push(invalidValue(field, grace, 'must be greater than 0'));
    if (name === 'readinessProbe') errors.push(invalidValue(field, grace, 'must not be set for readinessProbes'));
  }
  if (name !== 'readinessProbe' && probe.successThreshold !== 1) {
    errors.push(invalidValue(`${path}.successThreshold`, probe.successThreshold ?? 0, 'must be 1'));
  }
  return errors;
}

/** `graceSeconds` bounds how long a hook may sleep. */
export function validateLifecycle(lifecycle: Lifecycle | undefined, graceSeconds: number, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ['postStart', 'preStop'] as const) {
    const hook = lifecycle?.[name];
    if (hook) errors.push(...validateHandler(hook, `${path}.${name}`, graceSeconds));
  }
  return errors;
}

function validateHandler(handler: Handler, path: string, graceSeconds = 0): FieldError[] {
  const errors: FieldError[] = [];
  let handlers = 0;
  const first = (name: string): boolean => {
    if (handlers++ === 0) return true;
    errors.push(notPermitted(`${path}.${name}`, 'may not specify more than 1 handler type'));
    return false;
  };
  if (handler.exec && first('exec') && !handler.exec.command?.length) errors.push(required(`${path}.exec.command`));
  if (handler.httpGet && first('httpGet')) errors.push(...validateHttpGet(handler.httpGet, `${path}.httpGet`));
  if (handler.tcpSocket && first('tcpSocket')) errors.push(...validatePort(handler.tcpSocket.port, `${path}.tcpSocket.port`));
  if (handler.grpc && first('grpc')) errors.push(...checkPortNumber(`${path}.grpc.port`, handler.grpc.port ?? 0));
  if (handler.sleep && first('sleep')) {
    const { seconds } = handler.sleep;
    if (!(seconds >= 0 && seconds <= graceSeconds)) {
      const detail = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
      errors.push(invalidValue(`${path}.sleep`, seconds ?? 0, detail));
    }
  }
  if (handlers === 0) errors.push(required(path, 'must specify a handler type'));
  return errors;
}

function validateHttpGet(http: HttpGet, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!http.path) errors.push(required(`${path}.path`));
  errors.push(...validatePort(http.port, `${path}.port`));
  errors.push(...checkOneOf(`${path}.scheme`, http.scheme, ['HTTP', 'HTTPS']));
  for (const [index, header] of (http.httpHeaders ?? []).entries()) {
    if (headerName.test(header.name ?? '')) continue;
    const detail =
      "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
    errors.push(invalidValue(`${path}.httpHeaders[${index}].name`, header.name ?? '', detail));
  }
  return errors;
}

/** A number, or the name of one of the container's ports. */
export function validatePort(port: number | string | undefined, path: string): FieldError[] {
  if (typeof port === 'string') return invalidWhen(path, port, isPortName);
  return port == null ? [invalidValue(path, 0, portRangeDetail)] : checkPortNumber(path, port);
}

/** HTTPS servers that are webhooks, and the configurations that name them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ReviewRequest, ReviewResponse } from '../../src/api/webhooks/types.ts';
import type { Resource } from '../../src/machinery/resources.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { testAuthority } from './certificates.ts';

export interface Review {
  apiVersion: string;
  request: ReviewRequest;
}

type Answer = (request: ReviewRequest, path: string) => Partial<ReviewResponse> | Promise<Partial<ReviewResponse>>;

const group = 'admissionregistration.k8s.io';
const configurations = (kind: string): Resource => ({
  group,
  version: 'v1',
  resource: `${kind.toLowerCase()}s`,
  kind,
  namespaced: false,
});
export const mutatingConfigurations = configurations('MutatingWebhookConfiguration');
export const validatingConfigurations = configurations('ValidatingWebhookConfiguration');

export type Authority = Awaited<ReturnType<typeof testAuthority>>;

export const inBase64 = (text: string) => Buffer.from(text).toString('base64');
export const patchOf = (operations: object[]) => ({ patch: inBase64(JSON.stringify(operations)), patchType: 'JSONPatch' });

/** A server with a certificate for 127.0.0.1 and `names`. */
export async function httpsServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  { authority, names = [] }: { authority?: Authority; names?: string[] } = {},
) {
  const signer = authority ?? (await testAuthority());
  const identity = await signer.issue('CN=hook', names);
  let connections = 0;
  const server = https.createServer({ ...identity, ca: signer.ca, requestCert: true, rejectUnauthorized: false }, handle);
  server.on('secureConnection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    server,
    port,
    ca: signer.ca,
    url: `https://127.0.0.1:${port}`,
    caBundle: inBase64(signer.ca),
    connections: () => connections,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A webhook that allows everything unless `answer` says otherwise, and remembers what it was asked. */
export async function webhookServer(answer: Answer = () => ({}), options: { authority?: Authority; names?: string[] } = {}) {
  const reviews: Review[] = [];
  const paths: string[] = [];
  const server = await httpsServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      reviews.push(review);
      paths.push(request.url ?? '');
      const { apiVersion, request: asked } = review;
      const verdict = await answer(asked, request.url ?? '');
      const body = { kind: 'AdmissionReview', apiVersion, response: { uid: asked.uid, allowed: true, ...verdict } };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    })();
  }, options);
  return { ...server, reviews, paths, asked: () => reviews.map(({ request }) => request) };
}

export type HookServer = Awaited<ReturnType<typeof webhookServer>>;

const configMapRule = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };

/** One webhook for config maps, at the path `/NAME`. */
export function hook(server: Pick<HookServer, 'url' | 'caBundle'>, name: string, rest: object = {}) {
  return {
    name,
    clientConfig: { url: `${server.url}/${name}`, caBundle: server.caBundle },
    rules: [configMapRule],
    sideEffects: 'None',
    // A machine under load is slow, not silent.
    timeoutSeconds: 30,
    admissionReviewVersions: ['v1', 'v1beta1'],
    ...rest,
  };
}

export const configuration = (name: string, ...webhooks: object[]) => ({ metadata: { name }, webhooks }) as unknown as KubeObject;

"""The official Python client through its main verbs. Arguments: server, files of the CA, certificate and key. Prints a line for each fact."""

import json
import sys

from kubernetes import client, watch
from kubernetes.stream import stream

NAMESPACE = "default"


def api_client(server, ca, cert, key):
    configuration = client.Configuration()
    configuration.host = server
    configuration.ssl_ca_cert = ca
    configuration.cert_file = cert
    configuration.key_file = key
    return client.ApiClient(configuration)


def tell(*facts):
    print(*facts, flush=True)


def refusal(ask):
    try:
        ask()
    except client.ApiException as error:
        status = json.loads(error.body)
        return f"{error.status} {status['reason']}: {status['message']}"
    raise SystemExit("it was not refused")


def objects(core, apps):
    made = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py"), data={"a": "b"}))
    tell("created", made.metadata.name, made.data, type(made.metadata.creation_timestamp).__name__)
    tell("read", core.read_namespaced_config_map("py", NAMESPACE).data)
    made.data = {"a": "c"}
    tell("replaced", core.replace_namespaced_config_map("py", NAMESPACE, made).data)
    tell("stale", refusal(lambda: core.replace_namespaced_config_map("py", NAMESPACE, made)).split(":")[0])
    tell("merged", core.patch_namespaced_config_map("py", NAMESPACE, {"data": {"d": "e"}}).data)
    operations = [{"op": "remove", "path": "/data/d"}]
    tell("patched", core.patch_namespaced_config_map("py", NAMESPACE, operations).data)
    labels = {"app": "py"}
    container = client.V1Container(name="app", image="registry.test/app:1")
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container]))
    spec = client.V1DeploymentSpec(selector=client.V1LabelSelector(match_labels=labels), template=template)
    deployment = client.V1Deployment(metadata=client.V1ObjectMeta(name="py"), spec=spec)
    tell("defaults", apps.create_namespaced_deployment(NAMESPACE, deployment).spec.strategy.type)
    scaled = apps.patch_namespaced_deployment_scale("py", NAMESPACE, {"spec": {"replicas": 4}})
    tell("scaled", scaled.spec.replicas)


def errors(core):
    tell("missing", refusal(lambda: core.read_namespaced_secret("nothing", NAMESPACE)))
    tell("again", refusal(lambda: core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "py"}})))


def apply(api, manager, data, force):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "py"}, "data": data}
    return api.call_api(
        f"/api/v1/namespaces/{NAMESPACE}/configmaps/py",
        "PATCH",
        query_params=[("fieldManager", manager), ("force", force)],
        header_params={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
        body=json.dumps(body),
        response_type="V1ConfigMap",
        auth_settings=[],
    )[0]


def ownership(api):
    tell("conflict", refusal(lambda: apply(api, "other", {"a": "x"}, "false")).split(": ", 1)[1].split(" conflict with")[0])
    tell("forced", apply(api, "other", {"a": "x"}, "true").data)


def watching(core):
    listed = core.list_namespaced_config_map(NAMESPACE, label_selector="watched=py")
    body = {"metadata": {"name": "seen", "labels": {"watched": "py"}}}
    core.create_namespaced_config_map(NAMESPACE, body)
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"n": "1"}})
    core.delete_namespaced_config_map("seen", NAMESPACE)
    follower = watch.Watch()
    version = listed.metadata.resource_version
    for event in follower.stream(core.list_namespaced_config_map, NAMESPACE, label_selector="watched=py", resource_version=version):
        tell("event", event["type"], event["object"].metadata.name)
        if event["type"] == "DELETED":
            follower.stop()


def pages(core):
    for number in range(3):
        core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": f"page-{number}", "labels": {"pages": "py"}}})
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="pages=py", limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    tell("pages", *names)
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="pages=py")
    tell("left", len(core.list_namespaced_config_map(NAMESPACE, label_selector="pages=py").items))


def streams(core):
    container = client.V1Container(name="app", image="registry.test/app:1")
    spec = client.V1PodSpec(node_name="n1", containers=[container])
    core.create_namespaced_pod(NAMESPACE, client.V1Pod(metadata=client.V1ObjectMeta(name="web"), spec=spec))
    core.patch_namespaced_pod_status("web", NAMESPACE, {"status": {"phase": "Running"}})
    ran = stream(
        core.connect_get_namespaced_pod_exec,
        "web",
        NAMESPACE,
        command=["false"],
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
        _preload_content=False,
    )
    ran.run_forever(timeout=60)
    tell("exec", ran.read_stdout(), ran.read_stderr(), ran.returncode)
    tell("log", core.read_namespaced_pod_log("web", NAMESPACE, tail_lines=3).startswith("log of /"))


def main():
    api = api_client(*sys.argv[1:])
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    objects(core, apps)
    errors(core)
    ownership(api)
    watching(core)
    pages(core)
    streams(core)


main()

/** Manifests in the shape that tutorials have. All must be taken. */

/** Versions that Kubernetes has given up. */
export const oldManifests = `
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: old}
spec:
  template:
    metadata: {labels: {app: old}}
    spec:
      containers: [{name: web, image: web}]
---
apiVersion: apps/v1beta1
kind: StatefulSet
metadata: {name: old}
spec:
  serviceName: old
  template:
    metadata: {labels: {app: old-set}}
    spec:
      containers: [{name: web, image: web}]
---
apiVersion: apps/v1beta2
kind: ReplicaSet
metadata: {name: old}
spec:
  selector: {matchLabels: {app: old-replicas}}
  template:
    metadata: {labels: {app: old-replicas}}
    spec:
      containers: [{name: web, image: web}]
---
apiVersion: extensions/v1beta1
kind: DaemonSet
metadata: {name: old}
spec:
  templateGeneration: 3
  template:
    metadata: {labels: {app: old-daemon}}
    spec:
      containers: [{name: web, image: web}]
---
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: old}
spec:
  backend: {serviceName: other, servicePort: http}
  rules:
  - http:
      paths:
      - path: /
        backend: {serviceName: web, servicePort: 80}
---
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata: {name: older}
spec:
  rules:
  - host: web.example.com
    http:
      paths:
      - backend: {serviceName: web, servicePort: 80}
---
apiVersion: extensions/v1beta1
kind: NetworkPolicy
metadata: {name: old}
spec: {podSelector: {}}
---
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: old}
spec:
  schedule: "*/1 * * * *" # each minute
  concurrencyPolicy: Allow
  startingDeadlineSeconds: 200
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - name: hello
            image: busybox
            args: [/bin/sh, -c, date; echo hello]
          restartPolicy: OnFailure
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: old}
spec: {minAvailable: 1, selector: {}}
---
apiVersion: rbac.authorization.k8s.io/v1beta1
kind: Role
metadata: {name: old}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1beta1
kind: RoleBinding
metadata: {name: old}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: old}
subjects: [{kind: User, name: ann}]
---
apiVersion: autoscaling/v2beta1
kind: HorizontalPodAutoscaler
metadata: {name: old}
spec:
  maxReplicas: 4
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: old}
  metrics:
  - type: Resource
    resource: {name: memory, targetAverageValue: 100Mi}
---
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: php-apache}
spec:
  maxReplicas: 10
  minReplicas: 1
  scaleTargetRef: {kind: Deployment, name: php-apache}
  targetCPUUtilizationPercentage: 90
---
apiVersion: settings.k8s.io/v1alpha1
kind: PodPreset
metadata: {name: old}
spec:
  selector: {matchLabels: {role: frontend}}
  env: [{name: DB_PORT, value: "6379"}]
  volumeMounts: [{mountPath: /cache, name: cache-volume}]
  volumes: [{name: cache-volume, emptyDir: {}}]
---
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: old}
eventTime: "2026-01-02T03:04:05.000000Z"
reportingController: example.com/me
reportingInstance: me-1
action: Look
reason: Seen
type: Normal
regarding: {kind: Pod, namespace: default, name: web}
note: seen by the newer name
`;

/** Current versions. */
export const manifests = `
apiVersion: v1
kind: Service
metadata: {name: tutorial, labels: {app: web}}
spec:
  ports: [{port: 80, name: web}]
  clusterIP: None
  selector: {app: web}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: tutorial}
spec:
  serviceName: tutorial
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 80, name: web}]
        volumeMounts: [{name: www, mountPath: /srv}]
  volumeClaimTemplates:
  - metadata: {name: www}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: tutorial, namespace: kube-system, labels: {k8s-app: logs}}
spec:
  selector: {matchLabels: {name: logs}}
  template:
    metadata: {labels: {name: logs}}
    spec:
      tolerations: [{key: node-role.kubernetes.io/master, effect: NoSchedule}]
      containers:
      - name: logs
        image: logs:1
        resources: {limits: {memory: 200Mi}, requests: {cpu: 100m, memory: 200Mi}}
        volumeMounts:
        - {name: varlog, mountPath: /var/log}
        - {name: containers, mountPath: /var/lib/containers, readOnly: true}
      volumes:
      - {name: varlog, hostPath: {path: /var/log}}
      - {name: containers, hostPath: {path: /var/lib/containers}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: tutorial}
spec:
  template:
    spec:
      containers: [{name: pi, image: bc, command: [sh, -c, "echo 'scale=100; 4*a(1)' | bc -l"]}]
      restartPolicy: Never
  backoffLimit: 4
  activeDeadlineSeconds: 200
  parallelism: 2
  completions: 4
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: tutorial-rbd, labels: {type: local}}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  rbd: {monitors: ['10.16.154.78:6789'], pool: kube, image: foo, fsType: ext4, readOnly: true, user: admin}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: tutorial-nfs}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Recycle
  storageClassName: slow
  nfs: {path: /tmp, server: 172.17.0.2}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: tutorial}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 8Gi}}
  storageClassName: slow
  selector:
    matchLabels: {release: stable}
    matchExpressions: [{key: environment, operator: In, values: [dev]}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: tutorial
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: disks.example.com
parameters: {csi.storage.k8s.io/node-stage-secret-name: secret, pool: replicated}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: tutorial
  annotations: {ingressclass.kubernetes.io/is-default-class: "true"}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: tutorial}
spec:
  replicas: 1
  selector: {tier: frontend}
  template:
    metadata: {labels: {app: demo, tier: frontend}}
    spec:
      containers:
      - name: demo
        image: demo
        imagePullPolicy: IfNotPresent
        env: [{name: GET_HOSTS_FROM, value: dns}]
        ports: [{containerPort: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: tutorial}
spec:
  containers:
  - name: web
    image: web
    volumeMounts: [{mountPath: /srv, name: storage}]
  volumes: [{name: storage, persistentVolumeClaim: {claimName: tutorial}}]
`;

/** What the server adds to each example (examples.ts) when it is created, and the whole row that `get -o wide` prints, 90 seconds later. */

export interface Expected {
  /** Pod templates left out: they have tests of their own. */
  stored: Record<string, unknown>;
  row: unknown[];
}

export const expected: Record<string, Expected> = {
  PersistentVolume: {
    stored: {
      spec: {
        capacity: { storage: '1Gi' },
        hostPath: { type: '' },
        persistentVolumeReclaimPolicy: 'Retain',
        volumeMode: 'Filesystem',
      },
      status: { phase: 'Pending', lastPhaseTransitionTime: '2030-01-01T00:00:00Z' },
    },
    row: ['a', '1Gi', 'RWO', 'Retain', 'Pending', '', '', '<unset>', '', '90s', 'Filesystem'],
  },
  APIService: { stored: { spec: { service: { port: 443 } } }, row: ['a', 'n/s', 'Unknown', '90s'] },
  PersistentVolumeClaim: {
    stored: { spec: { resources: { requests: { storage: '1Gi' } }, volumeMode: 'Filesystem' }, status: { phase: 'Pending' } },
    row: ['a', 'Pending', '', '', '', '', '<unset>', '90s', 'Filesystem'],
  },
  ReplicationController: {
    stored: { spec: { replicas: 1, selector: { app: 'web' } }, status: { replicas: 0 } },
    row: ['a', 1, 0, 0, '90s', 'web', 'web:1', 'app=web'],
  },
  PodTemplate: { stored: {}, row: ['a', 'web', 'web:1', 'app=web'] },
  LimitRange: {
    stored: {
      spec: {
        limits: [
          {
            type: 'Container',
            max: { cpu: '2' },
            min: { memory: '64Mi' },
            default: { cpu: '2' },
            defaultRequest: { memory: '64Mi', cpu: '2' },
          },
        ],
      },
    },
    row: ['a', '2030-01-01T00:00:00Z'],
  },
  ResourceQuota: { stored: { spec: { hard: { 'limits.cpu': '4' } }, status: {} }, row: ['a', '', '', '90s'] },
  StatefulSet: {
    stored: {
      spec: {
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, volumeMode: 'Filesystem' },
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            status: { phase: 'Pending' },
          },
        ],
        replicas: 1,
        revisionHistoryLimit: 10,
        podManagementPolicy: 'OrderedReady',
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      },
      status: { replicas: 0 },
    },
    row: ['a', '0/1', '90s', 'web', 'web:1'],
  },
  DaemonSet: {
    stored: {
      spec: {
        revisionHistoryLimit: 10,
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      },
      status: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
    },
    row: ['a', 0, 0, 0, 0, 0, '<none>', '90s', 'web', 'web:1', 'app=web'],
  },
  ControllerRevision: { stored: {}, row: ['a', '<none>', 3, '90s'] },
  HorizontalPodAutoscaler: {
    stored: {
      spec: {
        minReplicas: 1,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }],
      },
      status: { desiredReplicas: 0 },
    },
    row: ['a', 'Deployment/web', 'cpu: <unknown>/80%', '1', 5, 0, '90s'],
  },
  Job: {
    stored: {
      spec: {
        completions: 1,
        parallelism: 1,
        backoffLimit: 6,
        completionMode: 'NonIndexed',
        suspend: false,
        manualSelector: false,
        podReplacementPolicy: 'TerminatingOrFailed',
        selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'UID' } },
      },
      status: {},
    },
    row: ['a', 'Running', '0/1', '', '90s', 'web', 'web:1', 'batch.kubernetes.io/controller-uid=UID'],
  },
  CronJob: {
    stored: {
      spec: { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 },
      status: {},
    },
    row: ['a', '*/5 * * * *', '<none>', 'False', 0, '<none>', '90s', 'web', 'web:1', '<none>'],
  },
  PodDisruptionBudget: {
    stored: { status: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 } },
    row: ['a', '50%', 'N/A', 0, '90s'],
  },
  Ingress: { stored: { status: { loadBalancer: {} } }, row: ['a', '<none>', 'web.example.com', '', '80', '90s'] },
  IngressClass: { stored: {}, row: ['a', 'example.com/ingress', '<none>', '90s'] },
  NetworkPolicy: {
    stored: { spec: { ingress: [{ ports: [{ port: 80, protocol: 'TCP' }] }], policyTypes: ['Ingress'] } },
    row: ['a', 'app=web', '90s'],
  },
  ServiceCIDR: { stored: { status: {} }, row: ['a', '10.99.0.0/16', '90s'] },
  IPAddress: { stored: {}, row: ['10.43.0.7', 'services/default/web'] },
  StorageClass: {
    stored: { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
    row: ['a', 'example.com/disks', 'Delete', 'Immediate', false, '90s'],
  },
  CSIDriver: {
    stored: {
      spec: {
        attachRequired: true,
        podInfoOnMount: false,
        storageCapacity: false,
        fsGroupPolicy: 'ReadWriteOnceWithFSType',
        requiresRepublish: false,
        seLinuxMount: false,
        volumeLifecycleModes: ['Persistent'],
      },
    },
    row: ['driver.example.com', true, false, false, '<unset>', false, 'Persistent', '90s'],
  },
  CustomResourceDefinition: {
    stored: {
      spec: { names: { singular: 'wheel', listKind: 'WheelList' }, conversion: { strategy: 'None' } },
      status: { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: ['v1'] },
    },
    row: ['a', '2030-01-01T00:00:00Z'],
  },
  CSINode: { stored: {}, row: ['a', 1, '90s'] },
  CSIStorageCapacity: { stored: { capacity: '1Gi' }, row: ['a', 'fast', '1Gi'] },
  VolumeAttachment: { stored: { status: { attached: false } }, row: ['a', 'driver.example.com', 'data', 'one', false, '90s'] },
  PriorityClass: { stored: { preemptionPolicy: 'PreemptLowerPriority' }, row: ['a', 1000, false, '90s', 'PreemptLowerPriority'] },
  RuntimeClass: { stored: {}, row: ['a', 'runc', '90s'] },
  CertificateSigningRequest: {
    stored: { status: {} },
    row: ['a', '90s', 'kubernetes.io/kube-apiserver-client', 'system:apiserver', '<none>', 'Pending'],
  },
  FlowSchema: { stored: { spec: { matchingPrecedence: 1000 }, status: {} }, row: ['a', 'calm', 1000, '<none>', '90s', '?'] },
  PriorityLevelConfiguration: {
    stored: {
      spec: {
        limited: {
          limitResponse: { queuing: { handSize: 8, queues: 64, queueLengthLimit: 50 } },
          nominalConcurrencyShares: 30,
          lendablePercent: 0,
        },
      },
      status: {},
    },
    row: ['a', 'Limited', 30, 64, 8, 50, '90s'],
  },
  MutatingWebhookConfiguration: {
    stored: {
      webhooks: [
        {
          name: 'pods.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          clientConfig: { url: 'https://example.com/review' },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: '*' }],
          failurePolicy: 'Fail',
          matchPolicy: 'Equivalent',
          timeoutSeconds: 10,
          namespaceSelector: {},
          objectSelector: {},
          reinvocationPolicy: 'Never',
        },
      ],
    },
    row: ['a', 1, '90s'],
  },
  ValidatingWebhookConfiguration: {
    stored: {
      webhooks: [
        {
          name: 'pods.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          clientConfig: { url: 'https://example.com/review' },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: '*' }],
          failurePolicy: 'Fail',
          matchPolicy: 'Equivalent',
          timeoutSeconds: 10,
          namespaceSelector: {},
          objectSelector: {},
        },
      ],
    },
    row: ['a', 1, '90s'],
  },
  ValidatingAdmissionPolicy: {
    stored: {
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: '*' }],
          matchPolicy: 'Equivalent',
          namespaceSelector: {},
          objectSelector: {},
        },
        failurePolicy: 'Fail',
      },
      status: {},
    },
    row: ['a', 1, '<unset>', '90s'],
  },
  ValidatingAdmissionPolicyBinding: { stored: {}, row: ['a', 'few', '<unset>', '90s'] },
  PodPreset: { stored: {}, row: ['a', '90s'] },
};

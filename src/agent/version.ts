/** How this agent names itself in Node.status.nodeInfo. Tools read the first part as the Kubernetes version it speaks. */
export const kubeletVersion = 'v1.33.0+kontiki0.1.0';
export const runtimeVersion = 'kontiki://0.1.0';

/**
 * The label by which a log stream's service is known, and the labels that imply it where it is missing. Source:
 * docs/logs.md.
 */
import type { Labels } from './labels.ts'

/** The label of a stream's service. */
export const serviceNameLabel = 'service_name'
/** In order of preference. */
export const serviceLabels = [
  'service',
  'app',
  'application',
  'app_name',
  'name',
  'app_kubernetes_io_name',
  'container',
  'container_name',
  'k8s_container_name',
  'component',
  'workload',
  'job',
  'k8s_job_name',
] as const

/** The service that the other labels imply; `unknown_service` without any of them. */
export function impliedService(labels: Labels): string {
  const source = serviceLabels.find(name => labels.has(name))
  return source === undefined ? 'unknown_service' : labels.get(source)
}

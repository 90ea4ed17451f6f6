/** Label names with a meaning of their own, shared by storage and query languages. */

export const metricName = '__name__'
export const bucketLabel = 'le'
export const typeLabel = '__type__'
export const unitLabel = '__unit__'

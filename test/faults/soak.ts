/**
 * How many times longer than in CI the tests of faults run: the environment's FAULTS_SOAK, 1 by
 * default.
 */
export const soak = Number(process.env['FAULTS_SOAK'] ?? 1)

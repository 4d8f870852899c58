import { chromium, type Browser, type BrowserContext } from 'playwright-core'
import type { Certificate } from './certificate'

// The last --enable-features counts, and Playwright passes one as well: these stand behind it.
const features = [
  'DeviceBoundSessions', 'EnableBoundSessionCredentialsSoftwareKeysForManualTesting'
]

/** Returns the flags by which Chromium binds sessions on a machine without a TPM. */
export const flagsFor = ({ pin }: Pick<Certificate, 'pin'>): string[] => [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // A host for each test: a browser signs six times in nine minutes for a site.
  '--host-resolver-rules=MAP *.test 127.0.0.1',
  // A certificate that --ignore-certificate-errors lets pass is not good enough for it.
  `--ignore-certificate-errors-spki-list=${pin}`,
  `--enable-features=${features.join(',')}`
]

export const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Launches a browser that binds sessions. */
export const launchBinding = async (certificate: Certificate): Promise<Browser> =>
  await chromium.launch({ executablePath, args: flagsFor(certificate) })

/** The same with a profile on disk, which outlives the browser. */
export const launchWithProfile = async (
  certificate: Certificate, folder: string
): Promise<BrowserContext> =>
  await chromium.launchPersistentContext(folder, { executablePath, args: flagsFor(certificate) })

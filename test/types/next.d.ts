// What docs/pages.md uses of Next.js, which is not installed here.
declare module 'next/headers' {
  export function headers (): Promise<Headers>
}

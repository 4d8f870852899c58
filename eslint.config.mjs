import neostandard, { plugins, resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({ ts: true, filesTs: ['**/*.mts'], ignores: resolveIgnoresFromGitignore() }),
  {
    files: ['**/*.ts', '**/*.mts'],
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error'
    }
  },
  {
    rules: { '@stylistic/max-len': ['error', { code: 100, ignoreUrls: true }] }
  },
  // The titles of tests are sentences, and what is expected is written as it comes.
  {
    files: ['test/**', 'benchmark/**', 'examples/**'],
    rules: {
      '@stylistic/max-len': ['error', {
        code: 100,
        ignoreUrls: true,
        ignoreStrings: true,
        ignoreTemplateLiterals: true,
        ignoreRegExpLiterals: true
      }]
    }
  }
]

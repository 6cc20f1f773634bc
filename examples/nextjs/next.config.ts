import type { NextConfig } from 'next'

const config: NextConfig = {
  serverExternalPackages: ['holdfast'],
}

export default config

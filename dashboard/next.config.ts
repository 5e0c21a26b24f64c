import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export",
  trailingSlash: true,
  images: { unoptimized: true },
  reactStrictMode: true,
  // The folder above has other tools' files; nothing of them belongs to the build.
  turbopack: { root: import.meta.dirname },
};

export default config;

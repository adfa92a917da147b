class PosthogPersonsMcp < Formula
  desc "MCP server for the persons in PostHog"
  homepage "https://github.com/OWNER/REPOSITORY"
  version "VERSION"
  license "MIT"

  on_macos do
    url "https://github.com/OWNER/REPOSITORY/releases/download/vVERSION/posthog-persons-mcp-VERSION-macos-universal.tar.gz"
    sha256 "SHA256:macos-universal.tar.gz"
  end

  on_linux do
    on_intel do
      url "https://github.com/OWNER/REPOSITORY/releases/download/vVERSION/posthog-persons-mcp-VERSION-linux-x86_64.tar.gz"
      sha256 "SHA256:linux-x86_64.tar.gz"
    end
    on_arm do
      url "https://github.com/OWNER/REPOSITORY/releases/download/vVERSION/posthog-persons-mcp-VERSION-linux-aarch64.tar.gz"
      sha256 "SHA256:linux-aarch64.tar.gz"
    end
  end

  def install
    bin.install "posthog-persons-mcp"
    man1.install Dir["man/man1/*.1"]
    bash_completion.install "completions/posthog-persons-mcp.bash"
    fish_completion.install "completions/posthog-persons-mcp.fish"
    zsh_completion.install "completions/_posthog-persons-mcp"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/posthog-persons-mcp --version")
    assert_match "ada@example.com", shell_output("#{bin}/posthog-persons-mcp --sandbox call persons-list")
  end
end

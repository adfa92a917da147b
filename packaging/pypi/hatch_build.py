"""Makes the wheel one for the platform of its binary."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformHook(BuildHookInterface):
    def initialize(self, version, build_data):
        binary = os.environ["PACKAGE_BINARY"]
        build_data["pure_python"] = False
        build_data["tag"] = os.environ["PACKAGE_TAG"]
        build_data["shared_scripts"][binary] = os.path.basename(binary)

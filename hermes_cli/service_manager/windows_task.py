"""What a service becomes in Windows: a task's XML, and the command file that stands in for it at a logon."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"

LOGON_DELAY = "PT30S"
"""Other things of a logon go first."""
RESTART_INTERVAL = "PT1M"
"""The least that the schema takes."""


def task_xml(
    *, name: str, description: str, command: Sequence[str], user: str, directory: str, at_logon: bool
) -> str:
    """The task, without an XML declaration, which depends on how it is encoded.

    In the order of the Task Scheduler schema: of a trigger's and an action's elements it is prescribed.
    """
    who = escape(user)
    # With no UserId a logon trigger means everybody's logon, which takes an administrator to register.
    trigger = (
        f"    <LogonTrigger>\n      <Enabled>true</Enabled>\n      <UserId>{who}</UserId>\n"
        f"      <Delay>{LOGON_DELAY}</Delay>\n    </LogonTrigger>\n"
        if at_logon
        else ""
    )
    return f"""<Task version="1.2" xmlns="{NAMESPACE}">
  <RegistrationInfo>
    <Author>Hermes</Author>
    <Description>{escape(description)}</Description>
    <URI>\\{escape(name)}</URI>
  </RegistrationInfo>
  <Triggers>
{trigger}  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{who}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
    <RestartOnFailure>
      <Interval>{RESTART_INTERVAL}</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(command[0])}</Command>
      <Arguments>{escape(command_line(command[1:]))}</Arguments>
      <WorkingDirectory>{escape(directory)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def startup_file(command: Sequence[str]) -> str:
    """A command file for the Startup folder, in UTF-8. `start` lets it go, and no window stays."""
    line = command_line(command).replace("%", "%%")
    return f'@echo off\r\nchcp 65001 >nul\r\nstart "" /B {line}\r\n'


def command_line(words: Sequence[str]) -> str:
    """One line that CommandLineToArgvW takes apart into `words` again."""
    import subprocess

    return subprocess.list2cmdline(words)

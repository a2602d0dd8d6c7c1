"""Whether a command may run now, or what has to be asked first."""

from __future__ import annotations

from .approvals import Approvals
from .context import ToolContext
from .danger import Checked
from .results import Result


def permission(approvals: Approvals, context: ToolContext, command: str, checked: Checked) -> Result | None:
    """None if `command` may run; else the answer that says what it would do and who has to decide."""
    session_key = context.owner.session_key
    keys = [finding.pattern_key for finding in checked.findings]
    missing = approvals.missing(session_key, command, keys)
    if not missing:
        return None
    findings = [finding for finding in checked.findings if finding.pattern_key in missing]
    pending = approvals.ask(session_key, command, missing)
    description = "; ".join(finding.description for finding in findings)
    return {
        "status": "approval_required",
        "approval_id": pending.approval_id,
        "command": command,
        "pattern_key": findings[0].pattern_key,
        "description": description,
        "patterns": [
            {"pattern_key": one.pattern_key, "description": one.description, "excerpt": one.excerpt}
            for one in findings
        ],
        "choices": list(approvals.choices),
        "message": f"not run, because it {description}. The user has to allow it: once, for this session, or "
        "always. Say what it would do and why it is needed, and wait; do not look for a way around",
    }

"""The demo's pages: the levers, the last round of runs, and the webhook of Alertmanager."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from health_check.demo import alerts, levers
from health_check.demo.spans import last_round


class HomeView(TemplateView):
    """Show the levers, and beside them the status page."""

    template_name = "demo/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "levers": levers.LEVERS}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Move a lever: ``lever`` is its name, ``do`` is ``break`` or ``fix``."""
        try:
            levers.move(request.POST.get("lever", ""), pull=request.POST.get("do") == "break")
        except KeyError:
            names = ", ".join(levers.BY_NAME)
            return HttpResponse(f"There is no such lever. Use one of {names}.", status=400, content_type="text/plain")
        return redirect("home")


class RoundView(TemplateView):
    """Show the spans of the last round of runs, and the notifications of Alertmanager."""

    template_name = "demo/round.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "tree": last_round.tree(), "told": alerts.told()}


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Take a notification of Alertmanager."""
    try:
        alerts.note(json.loads(request.body))
    except (ValueError, AttributeError) as error:
        return HttpResponse(f"This is no notification of Alertmanager: {error}", status=400, content_type="text/plain")
    return HttpResponse(status=204)

"""The site's home page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.generic import TemplateView

from tests.support.plain.data import break_it, mend, price_list


class HomeView(TemplateView):
    """Show a button that breaks or mends the price list."""

    template_name = "plain/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "broken": not price_list().exists()}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Break or mend the price list."""
        (break_it if request.POST.get("do") == "break" else mend)()
        return redirect("home")

"""What the shop sells, and to whom."""

# The stubs tell the types of fields through a plugin only.
# mypy: disable-error-code="var-annotated"
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=40)


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    status = models.CharField(max_length=10, default="open")
    total = models.DecimalField(max_digits=8, decimal_places=2)
    placed = models.DateTimeField()
    details = models.JSONField(default=dict)


class RushOrder(Order):
    """In two tables."""

    hours = models.IntegerField()
